export { createTurnkeyClient, VaultTurnkeyClient } from "./client.js";
export type { IfPublicKey, TurnkeyConfig } from "./client.js";
export { vaultStamper } from "./stamper.js";
export type { Stamp, Stamper } from "./stamper.js";

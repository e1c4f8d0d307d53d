/** What a page may ask for. No token and no private key passes here. */
export interface Bridge {
  /** Begins a login: the public key whose SHA-256 is the nonce for the OpenID provider. */
  beginLogin(): Promise<string>;
  /** Ends a login with what the provider answered. */
  login(oidcToken: string, publicKey: string): Promise<void>;
  /** The user of the active session. */
  whoami(): Promise<string>;
  refresh(): Promise<void>;
  logout(): Promise<void>;
  /** Calls back when a session was stored or cleared, or another is active, be it by another app. */
  onChange(listener: () => void): void;
}

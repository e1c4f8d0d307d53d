// The bridge between the page and the main process.
import { contextBridge, ipcRenderer } from "electron";
import type { Bridge } from "./bridge.js";

const bridge: Bridge = {
  beginLogin: () => ipcRenderer.invoke("turnkey:beginLogin"),
  login: (oidcToken, publicKey) => ipcRenderer.invoke("turnkey:login", oidcToken, publicKey),
  whoami: () => ipcRenderer.invoke("turnkey:whoami"),
  refresh: () => ipcRenderer.invoke("turnkey:refresh"),
  logout: () => ipcRenderer.invoke("turnkey:logout"),
  onChange: (listener) => ipcRenderer.on("turnkey:changed", () => listener()),
};

contextBridge.exposeInMainWorld("turnkey", bridge);

/** As much of Electron's own types as the example needs: Electron itself is not installed with this package. */
declare module "electron" {
  export interface WebContents {
    send(channel: string, ...args: unknown[]): void;
  }
  export class BrowserWindow {
    constructor(options: { webPreferences: { preload: string; contextIsolation: boolean; sandbox: boolean } });
    readonly webContents: WebContents;
    static getAllWindows(): BrowserWindow[];
    loadFile(path: string): Promise<void>;
  }
  export const app: {
    whenReady(): Promise<void>;
    on(event: "will-quit", listener: () => void): void;
  };
  export interface IpcMainInvokeEvent {
    readonly sender: WebContents;
  }
  export const ipcMain: {
    handle(channel: string, listener: (event: IpcMainInvokeEvent, ...args: any[]) => unknown): void;
  };
  export const ipcRenderer: {
    invoke(channel: string, ...args: unknown[]): Promise<any>;
    on(channel: string, listener: (event: unknown, ...args: any[]) => void): void;
  };
  export const contextBridge: { exposeInMainWorld(name: string, api: object): void };
}

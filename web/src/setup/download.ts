/** Files of the service that the browser downloads. */

import { ask } from "../api/client";

/** Where the session has ended the login comes up, and no file. The service names the file. */
export async function download(url: string): Promise<void> {
  await ask("GET", "/session");
  const link = document.createElement("a");
  link.href = url;
  link.download = "";
  link.click();
}

/** Small files of the service that are saved on the machine. */

import { file } from "../api/client";

const READ_WITHIN_MILLISECONDS = 60_000;

/** Saved once all of it is here: where it is refused, or the session has ended, nothing is. */
export async function save(path: string): Promise<void> {
  const { name, content } = await file(path);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), READ_WITHIN_MILLISECONDS);
}

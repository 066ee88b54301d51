/** Copying what a field holds. */

/** Whether the browser did: over plain http it may know the older way alone. What the field holds is selected then. */
export async function copied(field: HTMLInputElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    field.focus();
    field.select();
    return document.execCommand("copy");
  }
}

/** The focus, moved by the page. */

/** Move the focus to what need not be a control, so that whoever hears the page hears where they are. */
export function focusOn(element: HTMLElement | null): void {
  if (element === null) return;
  if (!element.hasAttribute("tabindex")) element.tabIndex = -1;
  element.focus({ preventScroll: true });
}

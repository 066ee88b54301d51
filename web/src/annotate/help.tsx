/** All keys, to read and to change. */

import { useSignal } from "@preact/signals";
import { Dialog } from "../ui/dialog";
import { type Action, ACTIONS, choose, keysOf, nameOf, resetKeys } from "./keys";

export function Help({ close }: { close: () => void }) {
  const changing = useSignal<Action | null>(null);
  return (
    <Dialog title="Keys" close={close}>
      <p>
        1 to 9 choose a class, with shift 10 to 18. Arrow keys move the cursor by a pixel, with shift by ten; Enter uses
        the tool there, and with alt the brush paints on its way. To change a key, choose it and press another one.
      </p>
      <ul class="keys">
        {(Object.keys(ACTIONS) as Action[]).map((action) => (
          <li key={action}>
            <span>{ACTIONS[action].says}</span>
            <button
              type="button"
              title={`Change the key of: ${ACTIONS[action].says}`}
              onClick={() => (changing.value = action)}
              onBlur={() => (changing.value = null)}
              onKeyDown={(event) => {
                if (changing.value !== action || ["Shift", "Control", "Alt", "Meta"].includes(event.key)) return;
                event.preventDefault();
                event.stopPropagation();
                if (event.key !== "Escape") choose(action, nameOf(event));
                changing.value = null;
              }}
            >
              {changing.value === action ? "press a key" : keysOf(action).map((key) => <kbd key={key}>{key}</kbd>)}
            </button>
          </li>
        ))}
      </ul>
      <button type="button" onClick={resetKeys}>
        The usual keys again
      </button>
    </Dialog>
  );
}

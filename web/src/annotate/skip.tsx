/** Why a region cannot be labelled. */

import { useSignal } from "@preact/signals";
import { Dialog } from "../ui/dialog";
import type { Desk } from "./desk";

const REASONS = [
  "The image is blurred.",
  "It is too dark to tell.",
  "None of the classes fits.",
  "The image is damaged.",
];

export function SkipDialog({ desk, close }: { desk: Desk; close: () => void }) {
  const own = useSignal("");
  const skip = (reason: string) => {
    close();
    void desk.skip(reason);
  };
  return (
    <Dialog title="Why can nobody label this region?" close={close}>
      <ul class="reasons">
        {REASONS.map((reason) => (
          <li key={reason}>
            <button type="button" onClick={() => skip(reason)}>
              {reason}
            </button>
          </li>
        ))}
      </ul>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (own.value.trim() !== "") skip(own.value.trim());
        }}
      >
        <label>
          Another reason
          <input value={own.value} maxLength={500} onInput={(event) => (own.value = event.currentTarget.value)} />
        </label>
        <button type="submit" disabled={own.value.trim() === ""}>
          Skip
        </button>
      </form>
    </Dialog>
  );
}

/** Logging in with a token. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { logIn, why } from "./api/session";

export function Login() {
  const token = useSignal("");
  const trouble = useSignal<string | null>(null);
  const busy = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <main class="login">
      <h1>regionwise</h1>
      <p>Label the image regions from which a network learns most.</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          busy.value = true;
          logIn(token.value.trim())
            .catch((error: Error) => (trouble.value = error.message))
            .finally(() => (busy.value = false));
        }}
      >
        <label>
          Your token
          <input
            ref={field}
            type="password"
            autocomplete="current-password"
            placeholder="rw_…"
            required
            value={token.value}
            onInput={(event) => (token.value = event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="main" disabled={busy.value}>
          Log in
        </button>
        {(trouble.value ?? why.value) !== null && (
          <p class="warning" role="alert">
            {trouble.value ?? why.value}
          </p>
        )}
      </form>
      <p class="hint">Whoever runs this service gives tokens out, in a link or by themselves.</p>
    </main>
  );
}

/** Who takes part, and links that let somebody in. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { who } from "../api/session";
import { addressOf } from "../routes";
import { copied } from "../ui/copy";
import { Inviting, type Link } from "./inviting";

export function People({ project }: { project: number }) {
  const adds = who.value?.role === "admin";
  const inviting = useMemo(() => new Inviting(project, adds), [project, adds]);
  const name = useSignal("");
  const role = useSignal("annotator");
  useEffect(() => void inviting.look(), [inviting]);

  return (
    <section>
      <h2>People</h2>
      <ul class="people">
        {inviting.members.value.map((member) => (
          <li key={member.annotator_id}>
            {member.name} <span class="hint">{member.role}</span>
          </li>
        ))}
      </ul>
      <p class="hint">
        Roles are changed, and people removed, among the <a href={addressOf("people", project)}>annotators</a>.
      </p>
      {!adds && (
        <p class="hint">
          Add people by the names that the service knows them by. Somebody new needs a link, which only an admin of the
          service makes.
        </p>
      )}
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          const called = name.value;
          void inviting.invite(called, role.value).then((done) => {
            if (done && name.value === called) name.value = "";
          });
        }}
      >
        <input
          aria-label={adds ? "Name of who is invited" : "Name of who is added"}
          placeholder="Name"
          required
          maxLength={100}
          value={name.value}
          onInput={(event) => (name.value = event.currentTarget.value)}
        />
        <select aria-label="Role" value={role.value} onChange={(event) => (role.value = event.currentTarget.value)}>
          <option value="annotator">annotator</option>
          <option value="reviewer">reviewer</option>
          <option value="admin">admin of the project</option>
        </select>
        <button type="submit" aria-disabled={inviting.busy.value}>
          {adds ? "Invite" : "Add"}
        </button>
      </form>
      {inviting.said.value !== null && <p role="status">{inviting.said.value}</p>}
      {inviting.trouble.value !== null && (
        <p class="warning" role="alert">
          {inviting.trouble.value}
        </p>
      )}
      {inviting.links.value.map((link) => (
        <Shown key={link.url} link={link} />
      ))}
    </section>
  );
}

function Shown({ link }: { link: Link }) {
  const field = useRef<HTMLInputElement>(null);
  const said = useSignal("");
  const copy = async () => {
    said.value = (await copied(field.current!))
      ? "Copied"
      : "The browser lets no page copy: copy what is selected by hand.";
  };
  return (
    <p class="link">
      Send this link to {link.name}; whoever opens it is logged in as them, and it is shown only now:
      <input
        readOnly
        ref={field}
        aria-label={`Link of ${link.name}`}
        value={link.url}
        onFocus={(event) => event.currentTarget.select()}
      />
      <span class="row">
        <button type="button" onClick={() => void copy()}>
          Copy
        </button>
        <span role="status">{said.value}</span>
      </span>
    </p>
  );
}

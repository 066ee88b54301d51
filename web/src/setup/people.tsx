/** Who takes part, and links that let somebody in. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask, type Schemas } from "../api/client";

type Member = Schemas["MemberOut"];

export function People({ project }: { project: number }) {
  const members = useSignal<readonly Member[]>([]);
  const name = useSignal("");
  const role = useSignal("annotator");
  const link = useSignal<{ name: string; url: string } | null>(null);
  const trouble = useSignal<string | null>(null);
  const path = `/projects/${project}/members`;
  const look = async () => {
    members.value = (await ask<{ items: Member[] }>("GET", `${path}?limit=100`)).items;
  };
  useEffect(() => void look().catch((error: Error) => (trouble.value = error.message)), [project]);

  const invite = async () => {
    const called = name.value.trim();
    const body = { name: called, role: role.value };
    const made = await ask<Schemas["AnnotatorCreated"]>("POST", "/annotators", {
      body: { ...body, role: "annotator" },
    });
    await ask("POST", path, { body });
    const page = `${location.origin}${location.pathname}`;
    link.value = { name: called, url: `${page}#token=${made.token}/projects/${project}/annotate` };
    name.value = "";
    await look();
  };

  return (
    <section>
      <h2>People</h2>
      <ul class="people">
        {members.value.map((member) => (
          <li key={member.annotator_id}>
            {member.name} <span class="hint">{member.role}</span>
          </li>
        ))}
      </ul>
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          trouble.value = null;
          invite().catch((error: Error) => (trouble.value = error.message));
        }}
      >
        <input
          aria-label="Name of who is invited"
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
        <button type="submit">Invite</button>
      </form>
      {link.value !== null && (
        <p class="link">
          Send this link to {link.value.name}; whoever opens it is logged in as them, and it is shown only now:
          <input readOnly aria-label="Link" value={link.value.url} onFocus={(event) => event.currentTarget.select()} />
          <button type="button" onClick={() => void navigator.clipboard.writeText(link.value!.url)}>
            Copy
          </button>
        </p>
      )}
      {trouble.value !== null && (
        <p class="warning" role="alert">
          {trouble.value}
        </p>
      )}
    </section>
  );
}

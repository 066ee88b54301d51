/** The page: whoever is not logged in logs in first. */

import { who, type Who, why } from "./api/session";
import { Header } from "./header";
import { Home } from "./home";
import { Login } from "./login";
import { OfProject } from "./project";
import { route } from "./routes";
import { Create } from "./setup/create";
import { useTitle } from "./title";

export function App() {
  if (who.value === undefined) return <p class="waiting">{why.value ?? "…"}</p>;
  if (who.value === null) return <Out />;
  return <Inside who={who.value} />;
}

function Out() {
  useTitle([]);
  return <Login />;
}

function Inside({ who }: { who: Who }) {
  const { page, project } = route.value;
  return (
    <>
      <Header who={who} />
      {page === "home" && <Titled says="Projects" />}
      {page === "home" && <Home who={who} />}
      {page === "new" && <Titled says="New project" />}
      {page === "new" && <Create />}
      {project > 0 && <OfProject key={`${project}/${who.annotator_id}`} number={project} who={who} />}
    </>
  );
}

function Titled({ says }: { says: string }) {
  useTitle([says]);
  return null;
}

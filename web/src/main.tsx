import { render } from "preact";
import { App } from "./app";
import { begin } from "./api/session";
import "./style.css";

void begin().catch(() => undefined);
render(<App />, document.getElementById("app")!);

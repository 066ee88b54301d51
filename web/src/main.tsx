import { render } from "preact";
import { App } from "./app";
import { begin } from "./api/session";
import "./style.css";

void begin();
render(<App />, document.getElementById("app")!);

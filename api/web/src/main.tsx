import "@fontsource-variable/inter/index.css";
import "uplot/dist/uPlot.min.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/frame.css";
import "./styles/table.css";
import "./styles/pages.css";

import { render } from "preact";

import { App } from "./app.tsx";
import { Desk, DeskContext } from "./desk.ts";

const place = document.getElementById("console");
if (place === null) throw new Error("the page has no place for the console");

const desk = new Desk(window);
desk.start();
render(
  <DeskContext.Provider value={desk}>
    <App />
  </DeskContext.Provider>,
  place,
);

// Draws each figure from the JSON that its data-source names. No text from outside goes into a chart: titles are in the page.
"use strict";

const toDate = (micros) => micros / 1000;
const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function traces(curve) {
  const x = curve.at.map(toDate);
  const line = { type: "scatter", mode: "lines", x, connectgaps: false };
  const odd = curve.score.map((score, i) => (score > 1 ? curve.value[i] : null));
  const found = [];
  if (curve.yhat.some((value) => value !== null)) {
    found.push(
      { ...line, name: "lower bound", y: curve.yhat_lower, line: { width: 0 }, hoverinfo: "skip" },
      { ...line, name: "normal", y: curve.yhat_upper, line: { width: 0 }, fill: "tonexty", fillcolor: token("--band"), hoverinfo: "skip" },
      { ...line, name: "expected", y: curve.yhat, line: { color: token("--expected"), width: 1.5, dash: "dot" } },
    );
  }
  const few = curve.at.length < 60;
  found.push({ ...line, name: "seen", y: curve.value, mode: few ? "lines+markers" : "lines", line: { color: token("--seen"), width: 1.6 }, marker: { color: token("--seen"), size: 4 } });
  if (odd.some((value) => value !== null)) {
    found.push({ ...line, name: "anomalous", y: odd, mode: "markers", marker: { color: token("--odd"), size: 6 }, hoverinfo: "skip" });
  }
  return found;
}

// What would be drawn of the band where the model had gone far off would hide all else: the axis follows what was seen and expected.
// What never was below zero is not drawn as if it could be.
function range(curve) {
  const seen = [...curve.value, ...curve.yhat].filter((value) => value !== null);
  if (!seen.length) return undefined;
  const low = seen.reduce((a, b) => Math.min(a, b));
  const high = seen.reduce((a, b) => Math.max(a, b));
  const pad = (high - low || Math.abs(high) || 1) * 0.25;
  const negative = curve.value.some((value) => value < 0);
  return [negative ? low - pad : Math.max(low - pad, -0.02 * high), high + pad];
}

// A rate of seconds is a share of time, which has no unit.
function unit(curve, figure) {
  const { unit: symbol = "", rate } = figure.dataset;
  if (!rate || !curve.model) return symbol;
  return symbol === "s" ? "" : `${symbol}/s`;
}

function layout(answer, curve, figure) {
  const suffix = unit(curve, figure);
  const first = toDate(curve.at[0]);
  const end = toDate(answer.end);
  const axis = { gridcolor: token("--line"), zeroline: false, linecolor: token("--line"), tickfont: { color: token("--soft"), size: 11 } };
  const shapes = [];
  if (figure.dataset.since) {
    const until = Number(figure.dataset.until || answer.end);
    shapes.push({ type: "rect", xref: "x", yref: "paper", x0: toDate(Number(figure.dataset.since)), x1: toDate(until), y0: 0, y1: 1, fillcolor: token("--shade"), line: { width: 0 }, layer: "below" });
  }
  return {
    margin: { l: 60, r: 8, t: 8, b: 32 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, color: token("--ink"), size: 12 },
    xaxis: { ...axis, type: "date", range: [Math.max(toDate(answer.start), first - (end - first) / 50), end], hoverformat: "%b %-d, %H:%M:%S" },
    yaxis: { ...axis, range: range(curve), exponentformat: "SI", ticksuffix: suffix, hoverformat: suffix ? ".4~s" : ".4~g" },
    hovermode: "x unified",
    hoverlabel: { bgcolor: token("--card"), bordercolor: token("--line"), font: { color: token("--ink") } },
    dragmode: "pan",
    showlegend: false,
    shapes,
  };
}

async function draw(figure) {
  const state = figure.querySelector(".state");
  try {
    const reply = await fetch(figure.dataset.source, { headers: { Accept: "application/json" } });
    const answer = await reply.json();
    if (!reply.ok) throw new Error(answer.error);
    const curve = answer.curves[0];
    if (!curve) {
      state.textContent = "No points in this stretch of time.";
      figure.querySelector(".plot").hidden = true;
      return;
    }
    const plot = figure.querySelector(".plot");
    const paint = () => Plotly.react(plot, traces(curve), layout(answer, curve, figure), { responsive: true, displayModeBar: false, scrollZoom: false });
    await paint();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
    const expected = curve.yhat.some((value) => value !== null);
    const told = [];
    if (!curve.model) told.push("As it came, not scored.");
    else if (!expected) told.push("Still learning: nothing is expected yet.");
    if (curve.model && figure.dataset.rate) told.push("Its rate a second.");
    told.push("Times are UTC.");
    if (curve.thinned) told.push("Thinned out; extremes are kept.");
    state.textContent = told.join(" ");
    figure.querySelector(".key-list").hidden = !expected;
    figure.dataset.drawn = "yes";
  } catch (error) {
    state.textContent = `No chart: ${error.message}.`;
  }
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) {
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  }
}, { rootMargin: "400px" });
document.querySelectorAll("figure.chart").forEach((figure) => seen.observe(figure));

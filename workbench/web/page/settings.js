// The settings, their dialog, and the theme.

import { defaults, loadSettings, loadTheme, saveSettings, saveTheme } from "./store.js";

const dialog = document.getElementById("settings");
const fields = Object.keys(defaults).map((name) => document.getElementById(name));

let current = loadSettings();

export function settings() {
  return current;
}

function shown(field) {
  const value = Number(field.value);
  if (field.id === "top_k" && value === 0) return "all";
  return field.step.includes(".") ? value.toFixed(2) : String(value);
}

// fill puts the settings into the dialog.
function fill() {
  for (const field of fields) {
    field.value = current[field.id];
    const output = document.getElementById(`${field.id}-value`);
    if (output) output.textContent = shown(field);
  }
}

// startSettings fits the dialog to a model.
export function startSettings(model) {
  const most = document.getElementById("max_tokens");
  most.max = Math.max(16, Math.min(4096, model.tandem.max_tokens));
  fill();
}

export function openSettings() {
  if (dialog.open) dialog.close();
  else dialog.showModal();
}

for (const field of fields) {
  field.addEventListener("input", () => {
    current = { ...current, [field.id]: field.type === "range" ? Number(field.value) : field.value };
    saveSettings(current);
    const output = document.getElementById(`${field.id}-value`);
    if (output) output.textContent = shown(field);
  });
}
document.getElementById("reset").addEventListener("click", () => {
  current = { ...defaults };
  saveSettings(current);
  fill();
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close(); // the backdrop
});

// showTheme applies a theme; "" is the system's.
function showTheme(theme) {
  document.documentElement.dataset.theme = theme;
}

export function switchTheme() {
  const dark = loadTheme() || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const next = dark === "dark" ? "light" : "dark";
  saveTheme(next);
  showTheme(next);
}

showTheme(loadTheme());

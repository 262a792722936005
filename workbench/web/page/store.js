// What outlives a reload: settings and theme for good, the conversation for this tab.

export const defaults = { system: "", temperature: 0.8, top_k: 50, top_p: 1, max_tokens: 512 };

function read(storage, key, fallback) {
  try {
    return JSON.parse(storage.getItem(key)) ?? fallback;
  } catch {
    return fallback;
  }
}

export function loadSettings() {
  return { ...defaults, ...read(localStorage, "settings", {}) };
}

export function saveSettings(settings) {
  localStorage.setItem("settings", JSON.stringify(settings));
}

export function loadTheme() {
  return localStorage.getItem("theme") ?? "";
}

export function saveTheme(theme) {
  localStorage.setItem("theme", theme);
}

// loadMessages gives the tab's conversation with a model.
export function loadMessages(model) {
  const saved = read(sessionStorage, "conversation", null);
  return saved?.model === model ? saved.messages : [];
}

export function saveMessages(model, messages) {
  try {
    sessionStorage.setItem("conversation", JSON.stringify({ model, messages }));
  } catch { /* it does not fit: the conversation then ends with the tab's page */ }
}

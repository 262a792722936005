// The chat page: wires the conversation, the form, the settings and the keyboard together.

import { answer, ApiError, model as fetchModel, setToken } from "./api.js";
import { grow, textOf, toAPI } from "./content.js";
import { numbersText, showModel, stateText } from "./model.js";
import { openSettings, settings, startSettings, switchTheme } from "./settings.js";
import { loadMessages, saveMessages } from "./store.js";
import { View } from "./view.js";

const byId = (id) => document.getElementById(id);
const input = byId("input");
const send = byId("send");
const status = byId("status");

let model = null;
let messages = []; // {role, content, problem, numbers, running}
let running = null; // the AbortController of the answer that streams
let tokens = 0; // of the conversation, as the server counted last

const view = new View({
  edit(index, text) {
    messages = messages.slice(0, index);
    ask(text);
  },
  again(index) {
    messages = messages.slice(0, index);
    reply();
  },
  show: () => view.all(messages, running !== null),
});

function sayStatus(live = "") {
  if (!model) return;
  status.textContent = [live, stateText(model, tokens)].filter(Boolean).join(" · ");
}

function setBusy(controller) {
  running = controller;
  document.body.classList.toggle("busy", controller !== null);
  send.setAttribute("aria-label", controller ? "Stop" : "Send");
  send.title = controller ? "Stop (Esc)" : "Send (Enter)";
  enableSend();
}

function enableSend() {
  send.disabled = !running && (!model || !input.value.trim());
}

function fit() {
  input.style.height = "auto";
  input.style.height = `${input.scrollHeight}px`;
}

function ask(text) {
  messages.push({ role: "user", content: [{ type: "text", text }] });
  reply();
}

// body is the request for the next answer.
function body() {
  const { system, temperature, top_k, top_p, max_tokens } = settings();
  const history = messages.filter((message) => message.content.length > 0).map(({ role, content }) => ({ role, content: toAPI(content) }));
  if (system.trim()) history.unshift({ role: "system", content: system });
  // A state that does not grow takes any length; of others the oldest exchanges go.
  const overflow = model.tandem.state_token_bytes === 0 ? "continue" : "forget";
  return { model: model.id, messages: history, temperature, top_k, top_p, max_tokens: Math.min(max_tokens, model.tandem.max_tokens), overflow };
}

// reply streams the answer to the last message, which is the user's.
async function reply() {
  const request = body();
  const conversation = messages; // another one may have begun by the time this ends
  const controller = new AbortController();
  const message = { role: "assistant", content: [], running: true };
  messages.push(message);
  setBusy(controller);
  view.all(messages, true);
  let finish = "";
  let pieces = 0;
  let began = 0;
  let drawing = 0;
  const draw = () => {
    drawing = 0;
    if (messages !== conversation) return;
    view.last(messages, true);
    const seconds = (performance.now() - began) / 1000;
    sayStatus(pieces > 4 ? `about ${(pieces / seconds).toFixed(0)} tokens/s` : "");
  };
  try {
    for await (const chunk of answer(request, controller.signal)) {
      if (chunk.usage) {
        message.numbers = numbersText(chunk.usage, finish);
        tokens = chunk.usage.total_tokens;
      }
      const choice = chunk.choices[0];
      if (!choice) continue;
      finish = choice.finish_reason ?? finish;
      if (choice.delta.content || choice.delta.tandem) {
        grow(message.content, choice.delta);
        if (pieces++ === 0) began = performance.now();
        drawing ||= requestAnimationFrame(draw);
      }
    }
    if (message.content.length === 0) message.problem = "The answer is empty.";
  } catch (error) {
    if (error.name === "AbortError") message.numbers = "stopped";
    else if (error instanceof ApiError && error.status === 401) login(error.message);
    else message.problem = error.message;
  }
  cancelAnimationFrame(drawing);
  if (messages !== conversation) return;
  delete message.running;
  if (message.content.length === 0 && !message.problem) messages.pop();
  setBusy(null);
  view.all(messages, false);
  saveMessages(model.id, messages);
  sayStatus();
}

function submit() {
  if (running) {
    running.abort();
    return;
  }
  const text = input.value;
  if (!text.trim() || !model) return;
  // A question whose answer failed or was stopped at once is asked again with this one.
  while (messages.length > 0 && (messages.at(-1).role === "user" || messages.at(-1).content.length === 0)) messages.pop();
  input.value = "";
  fit();
  ask(text);
}

function newChat() {
  running?.abort();
  setBusy(null);
  messages = [];
  tokens = 0;
  saveMessages(model?.id, messages);
  view.all(messages, false);
  sayStatus();
  input.focus();
}

function again() {
  if (running || messages.at(-1)?.role !== "assistant") return;
  messages.pop();
  reply();
}

function editLast() {
  const index = messages.findLastIndex((message) => message.role === "user");
  if (index >= 0 && !running) view.edit(index, textOf(messages[index].content));
}

function login(problem) {
  byId("login-problem").textContent = problem;
  if (!byId("login").open) byId("login").showModal();
}

// connect asks for the model, and for a token where the server wants one. entered says that one was just given.
async function connect(entered = false) {
  try {
    model = await fetchModel();
  } catch (error) {
    if (error.status === 401) login(entered ? error.message : "");
    else status.textContent = error.message;
    return;
  }
  showModel(model);
  startSettings(model);
  messages = loadMessages(model.id);
  view.all(messages, false);
  sayStatus();
  enableSend();
  input.focus();
}

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
byId("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken(byId("token").value);
  byId("login").close();
  connect(true);
});
byId("login").addEventListener("cancel", (event) => event.preventDefault());
input.addEventListener("input", () => {
  fit();
  enableSend();
});
input.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (!running) submit();
  } else if (event.key === "ArrowUp" && input.value === "") {
    event.preventDefault();
    editLast();
  }
});
byId("new").addEventListener("click", newChat);
byId("theme").addEventListener("click", switchTheme);
byId("open-settings").addEventListener("click", openSettings);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && running && !document.querySelector("dialog[open]")) running.abort();
  if (!event.altKey || event.ctrlKey || event.metaKey) return;
  const actions = { KeyN: newChat, KeyR: again, KeyS: openSettings, KeyL: switchTheme };
  if (actions[event.code]) {
    event.preventDefault();
    actions[event.code]();
  }
});

connect();

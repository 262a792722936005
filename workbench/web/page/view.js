// The conversation on the page: one node a message, made again only where a message changed.

import { show, textOf } from "./content.js";

const list = document.getElementById("messages");
const scroller = document.getElementById("scroll");
const empty = document.getElementById("empty");

function button(label, action, title = "") {
  const node = document.createElement("button");
  node.type = "button";
  node.className = "plain";
  node.textContent = label;
  node.title = title;
  node.addEventListener("click", action);
  return node;
}

// View shows messages. actions are edit(index, text), again(index) and retry().
export class View {
  constructor(actions) {
    this.actions = actions;
  }

  // all shows the whole conversation.
  all(messages, busy) {
    list.replaceChildren(...messages.map((message, i) => this.#node(message, i, busy)));
    empty.hidden = messages.length > 0;
    scroller.scrollTop = scroller.scrollHeight;
  }

  // last shows the last message anew, and keeps the end in sight if it was.
  last(messages, busy) {
    const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;
    const node = this.#node(messages.at(-1), messages.length - 1, busy);
    list.lastElementChild.replaceWith(node);
    if (atEnd) scroller.scrollTop = scroller.scrollHeight;
  }

  #node(message, index, busy) {
    const node = document.createElement("article");
    node.className = `message ${message.role}`;
    node.dataset.index = index;
    const body = document.createElement("div");
    body.className = "body";
    node.append(body);
    if (message.role === "user") {
      body.textContent = textOf(message.content);
    } else {
      body.append(...show(message.content));
    }
    const under = document.createElement("div");
    under.className = "under";
    node.append(under);
    if (message.running) {
      (body.lastElementChild ?? body).classList.add("waiting");
      return node;
    }
    this.#under(under, message, index, busy);
    return node;
  }

  #under(under, message, index, busy) {
    if (message.problem) {
      const problem = document.createElement("span");
      problem.className = "problem";
      problem.setAttribute("role", "alert");
      problem.textContent = message.problem;
      under.append(problem);
    }
    if (!busy && message.role === "user") {
      under.append(button("Edit", () => this.edit(index, textOf(message.content)), "Change this message and go on from here"));
    }
    if (!busy && message.role === "assistant") {
      under.append(button(message.problem ? "Try again" : "Regenerate", () => this.actions.again(index), "Answer again (Alt+R)"));
    }
    if (textOf(message.content)) {
      const copy = button("Copy", async () => {
        await navigator.clipboard.writeText(textOf(message.content));
        copy.textContent = "Copied";
      });
      under.append(copy);
    }
    if (message.numbers) {
      const numbers = document.createElement("span");
      numbers.className = "numbers";
      numbers.textContent = message.numbers;
      under.append(numbers);
    }
  }

  // edit puts a field in place of a user's message.
  edit(index, text) {
    const form = document.createElement("form");
    form.className = "edit";
    const field = document.createElement("textarea");
    field.value = text;
    field.rows = Math.min(12, text.split("\n").length + 1);
    field.setAttribute("aria-label", "Edit the message");
    const row = document.createElement("div");
    row.className = "row";
    const save = button("Send", () => {});
    save.type = "submit";
    save.className = "primary";
    const close = () => this.actions.show();
    row.append(button("Cancel", close), save);
    form.append(field, row);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (field.value.trim()) this.actions.edit(index, field.value);
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") close();
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    list.children[index].replaceChildren(form);
    field.focus();
    field.setSelectionRange(text.length, text.length);
  }
}

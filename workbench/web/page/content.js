// Messages' content: a list of parts {type, text, problem}, as the API has it, and how it looks.

// text joins the texts of a content.
export function textOf(content) {
  return content.filter((part) => part.type === "text").map((part) => part.text).join("");
}

// toAPI is a content as it is sent back: a string where one holds all.
export function toAPI(content) {
  if (content.every((part) => part.type === "text") && content.length <= 1) return content[0]?.text ?? "";
  return content.map(({ type, text }) => ({ type, text }));
}

// grow adds a streamed delta to a content.
export function grow(content, delta) {
  const own = delta.tandem;
  const index = own?.part ?? 0;
  const text = own?.text ?? delta.content ?? "";
  content[index] ??= { type: own?.type ?? "text", text: "" };
  content[index].text += text;
  if (own?.problem) content[index].problem = own.problem;
}

function element(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

// show makes the nodes of a content. All text is put in as text; nothing in it is read as HTML.
export function show(content) {
  const nodes = [];
  content.forEach((part, i) => {
    if (part.type === "python") {
      const tool = element("div", "tool");
      tool.append(element("span", "", part.text));
      const next = content[i + 1];
      if (next?.type === "python_output") tool.append(element("span", "", "="), element("b", "", next.text));
      if (part.problem) tool.append(element("span", "problem", part.problem));
      nodes.push(tool);
    } else if (part.type === "text") {
      nodes.push(...prose(part.text));
    }
  });
  return nodes;
}

// prose splits text at ``` fences; a fence that is still open runs to the end.
function prose(text) {
  return text.split(/^```[^\n]*\n?/m).flatMap((piece, i) => {
    if (i % 2 === 1) {
      const block = element("pre");
      block.append(element("code", "", piece.replace(/\n$/, "")));
      return [block];
    }
    const trimmed = piece.replace(/^\n+|\n+$/g, "");
    if (!trimmed) return [];
    const paragraph = element("p");
    trimmed.split(/`([^`\n]+)`/).forEach((run, j) => {
      if (run) paragraph.append(j % 2 === 1 ? element("code", "", run) : run);
    });
    return [paragraph];
  });
}

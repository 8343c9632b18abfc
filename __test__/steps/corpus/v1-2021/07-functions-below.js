$send.email({ subject: subjectOf(event), text: textOf(event) })

function subjectOf({ kind }) {
  return `New ${kind}`
}

function textOf({ fields }) {
  return Object.keys(fields).map((key) => `${key}: ${fields[key]}`).join(', ')
}

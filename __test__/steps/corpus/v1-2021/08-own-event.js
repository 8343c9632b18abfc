const { event: inner, ...rest } = event
let steps = Object.keys(rest).length
return [inner, steps]

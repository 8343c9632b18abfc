// Medians and paired ratios: the only statistics the figures use.

export function quantile(values, fraction) {
  const sorted = [...values].sort((a, b) => a - b)
  const position = (sorted.length - 1) * fraction
  const below = sorted[Math.floor(position)]
  const above = sorted[Math.ceil(position)]
  return below + (above - below) * (position - Math.floor(position))
}

export function median(values) {
  return quantile(values, 0.5)
}

/** The median and the 99th percentile of times in µs, in ms. */
export function latencies(us) {
  return { p50: quantile(us, 0.5) / 1000, p99: quantile(us, 0.99) / 1000 }
}

/**
 * Round i of one candidate over round i of the other. They ran next to each other, so what slows the
 * machine down for a while slows both.
 */
export function pairedRatios(numerators, denominators) {
  return numerators.map((value, round) => value / denominators[round])
}

/** Round i of one candidate less round i of the other. */
export function pairedDifferences(values, subtracted) {
  return values.map((value, round) => value - subtracted[round])
}

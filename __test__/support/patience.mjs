// How long the tests wait for what must come. Nothing that works takes this long on any machine,
// and it is less than a test may take, so that what hangs is told by name.

export const PATIENCE_MS = 120_000

/** For `flush`, `settled` and what else takes a deadline. */
export const PATIENT = { timeoutMs: PATIENCE_MS }

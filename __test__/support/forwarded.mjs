// Dead letters that were forwarded.

/**
 * The id of the delivery that a call forwards.
 *
 * @param {any} request as the log shows it
 * @returns {string}
 */
export function forwardedIn(request) {
  const { argument = request } = request
  return (typeof argument === 'string' ? JSON.parse(argument) : argument).id
}

// The destinations that are built in. Generated from the list in
// `src/delivery/kind.rs`: `npm run docs`.

export const DESTINATIONS = ['http', 'email', 's3', 'sql', 'sse', 'emit']

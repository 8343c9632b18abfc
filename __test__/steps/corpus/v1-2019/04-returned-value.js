async (event) => {
  return event.items.filter((item) => item.total > 10)
};

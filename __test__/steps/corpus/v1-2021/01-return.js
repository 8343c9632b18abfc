const total = event.items.reduce((sum, { price }) => sum + price, 0)
return { total }

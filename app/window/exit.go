package window

// exitNoWindow is how the process ends where no window can be shown: opening it again
// would not help. samovar's own codes end at 4.
const exitNoWindow = 5

// Loaded into a child with `--import`: asks the child to stop when the process that started it is gone, however it died.

process.channel?.unref()
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))

package xla

// SetChunkRows fixes the rows of HeadLoss's chunks until the function it returns is called.
func SetChunkRows(rows int) (restore func()) {
	before := chunkRows
	chunkRows = func(int) int { return rows }
	return func() { chunkRows = before }
}

// UsePlainForms makes the Go backend use XLA's forms until the function it returns is called.
func UsePlainForms() (restore func()) {
	plainForms = true
	return func() { plainForms = false }
}

// FuseEverywhere makes decoding use the operations for one token on any backend until the function it returns is called.
func FuseEverywhere() (restore func()) {
	fuseEverywhere = true
	return func() { fuseEverywhere = false }
}

// Package session owns the long-lived process that keeps a device, loaded models, compiled programs and running
// trainings while notebooks, cells and terminals come and go: what it serves (Workbench), the server, the client, and
// how a client finds or starts one. It speaks HTTP with JSON over a unix socket in the runs folder, for its user alone.
// It never imports lab: lab implements Workbench, and is also the client. Read session.go first, then server.go and
// client.go.
package session

// Package sandbox runs programs that nobody has read, such as those that a model wrote.
//
// Owns: a separate process with limits on time, memory, processes, files and output, without environment, and on Linux,
// where the kernel allows it, in namespaces of its own: no network, the file system read-only, homes and other programs'
// files hidden, one small folder in memory to write to.
//
// What it does not protect from: a fault of the kernel; reading what every user of the machine may read outside the
// hidden folders; the use of all that the limits allow, times the number of programs that run at once; what one learns
// from timing. Without namespaces (Protection says so) a program may also reach the network, and read and write all
// files that its user may. It is a fence for a model's mistakes, not for an enemy: for that use a virtual machine.
//
// Never imports: anything of this module.
//
// Read sandbox.go first, then helper_linux.go.
package sandbox

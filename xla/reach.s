// An assembly file, empty as it is, lets this package declare the function without a body in reach.go.

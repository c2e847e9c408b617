// Package house holds the repository to its own rules: who may import whom, how large a function or a file may get, that every package
// says what it is for.
package house

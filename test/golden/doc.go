// Package golden holds captures that were recorded from real servers and clients, and a test that compares every field that
// "toposcope replay" decodes from them with what Wireshark's dissectors say of the same bytes.
package golden

//go:generate go run ./record

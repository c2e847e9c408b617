package tally

import (
	"slices"
	"sync"
	"testing"
)

func TestCounter(t *testing.T) {
	var c Counter
	get := Call{Client: "a", Server: "b", Method: "GET", Route: "/", Status: 200}
	post := Call{Client: "a", Server: "b", Method: "POST", Route: "/", Status: 500}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				c.Add(post)
				c.Add(get)
			}
		})
	}
	wg.Wait()
	want := []Row{{get, 400}, {post, 400}}
	if got := c.Rows(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestMerge: the reports of a service's two lives are one.
func TestMerge(t *testing.T) {
	a := Call{Client: "a", Server: "b", Method: "GET", Route: "/", Status: 200}
	b := Call{Client: "a", Server: "c", Method: "GET", Route: "/", Status: 200}
	got := Merge([]Row{{b, 1}, {a, 2}, {b, 3}})
	if want := []Row{{a, 2}, {b, 4}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

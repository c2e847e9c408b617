package main

import (
	"math/rand/v2"
	"slices"
)

// median is the middle of values, which it does not change; 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// interval is the 95 % percentile bootstrap interval of the median.
func interval(values []float64) (low, high float64) {
	if len(values) == 0 {
		return 0, 0
	}
	const resamples = 10000
	rng := rand.New(rand.NewPCG(1, 2)) // the same numbers give the same interval
	medians := make([]float64, resamples)
	again := make([]float64, len(values))
	for i := range medians {
		for j := range again {
			again[j] = values[rng.IntN(len(values))]
		}
		medians[i] = median(again)
	}
	slices.Sort(medians)
	return medians[resamples*25/1000], medians[resamples*975/1000]
}

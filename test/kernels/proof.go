package kernels

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Proof is what a guest has shown, kept so that docs/kernels.md can be made and checked without booting it again.
type Proof struct {
	// Release is the kernel's, "6.1.0-56-cloud-amd64".
	Release string `json:"release"`
	// Outcomes are those of the ways of capture, or of the conditions, in their order.
	Outcomes []Outcome `json:"outcomes"`
	// Programs are all of Toposcope's, loaded or refused.
	Programs []Program `json:"programs,omitempty"`
}

// Outcome is what became of Toposcope: exchanges that were counted exactly, or the line with which it ended.
type Outcome struct {
	Name   string `json:"name"`
	Method string `json:"method,omitempty"`
	// Exchanges are those sent and counted, by protocol.
	Exchanges map[string]uint64 `json:"exchanges,omitempty"`
	Refused   string            `json:"refused,omitempty"`
}

// ProofOfConditions is the key of the conditions among proofs; the others are names of kernels.
const ProofOfConditions = "conditions"

// NewOutcome takes what the table shows from a report.
func NewOutcome(r Report) Outcome {
	o := Outcome{Name: r.Name, Method: r.Method}
	for _, c := range r.Counts {
		if c.Protocol != "" {
			if o.Exchanges == nil {
				o.Exchanges = map[string]uint64{}
			}
			o.Exchanges[c.Protocol] += c.Want
		}
	}
	if len(r.Counts) == 0 && r.Run != nil && len(r.Run.Stderr) == 1 {
		o.Refused = r.Run.Stderr[0]
	}
	return o
}

// ReadProofs reads what SaveProof wrote. A missing file holds none.
func ReadProofs(file string) (map[string]Proof, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]Proof{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading proofs: %w", err)
	}
	var proofs map[string]Proof
	if err := json.Unmarshal(b, &proofs); err != nil {
		return nil, fmt.Errorf("reading proofs from %s: %w", file, err)
	}
	return proofs, nil
}

// SaveProof puts one proof in the place of the one of that key.
func SaveProof(file, key string, p Proof) error {
	proofs, err := ReadProofs(file)
	if err != nil {
		return err
	}
	proofs[key] = p
	b, err := json.MarshalIndent(proofs, "", "\t")
	if err != nil {
		return fmt.Errorf("encoding proofs: %w", err)
	}
	if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("keeping proofs: %w", err)
	}
	return nil
}

package golden

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// node is a protocol or a field of Wireshark's PDML.
type node struct {
	Name   string `xml:"name,attr"`
	Show   string `xml:"show,attr"`
	Pos    int    `xml:"pos,attr"`
	Size   int    `xml:"size,attr"`
	Fields []node `xml:"field"`
}

// packet is one packet as Wireshark dissects it.
type packet struct {
	Protos []node `xml:"proto"`
}

// find is the first field of that name in n, at any depth; nil: there is none.
func (n *node) find(name string) *node {
	for i := range n.Fields {
		if n.Fields[i].Name == name {
			return &n.Fields[i]
		}
		if found := n.Fields[i].find(name); found != nil {
			return found
		}
	}
	return nil
}

// all are the fields of that name in n, at any depth.
func (n *node) all(name string) (found []*node) {
	for i := range n.Fields {
		if n.Fields[i].Name == name {
			found = append(found, &n.Fields[i])
		}
		found = append(found, n.Fields[i].all(name)...)
	}
	return found
}

func (n *node) text(name string) string {
	if f := n.find(name); f != nil {
		return f.Show
	}
	return ""
}

func (n *node) number(name string) int {
	v, _ := strconv.ParseInt(n.text(name), 0, 64) // a field that is not there is 0
	return int(v)
}

// set says whether a flag is: tshark writes 1 or True, by version.
func (n *node) set(name string) bool {
	v := n.text(name)
	return v == "1" || v == "True"
}

// pdu is a message of a protocol as Wireshark found it: a whole one, put together from the segments that it came in.
type pdu struct {
	*node
	// first is when its first byte came, last when its last did.
	first, last time.Time
	// from and to are its ends, stream tells connections with the same ends apart.
	from, to, stream string
	// size is that of the segments it was put together from; 0: it came in one.
	size int
}

// dissect calls visit with each PDU of the protocols, in the order in which they were complete.
func dissect(t *testing.T, file string, ports []string, protos []string, visit func(p pdu)) {
	t.Helper()
	args := []string{"-r", file, "-n", "-2", "-T", "pdml"}
	for _, p := range ports {
		args = append(args, "-d", p)
	}
	cmd := exec.Command("tshark", args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := dissector{times: map[string]time.Time{}, protos: protos, visit: visit}
	if err := d.read(xml.NewDecoder(out)); err != nil {
		t.Errorf("reading PDML: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
}

type dissector struct {
	times  map[string]time.Time // of packets, by their numbers
	protos []string
	visit  func(p pdu)
}

func (d *dissector) read(in *xml.Decoder) error {
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "packet" {
			p := packet{}
			if err := in.DecodeElement(&p, &start); err != nil {
				return err
			}
			if err := d.packet(&p); err != nil {
				return err
			}
		}
	}
}

func (d *dissector) packet(p *packet) (err error) {
	var current pdu
	var ip [2]string
	var first, at time.Time
	size := 0
	for i := range p.Protos {
		n := &p.Protos[i]
		switch n.Name {
		case "frame":
			if at, err = epoch(n.text("frame.time_epoch")); err != nil {
				return fmt.Errorf("packet without a time: %w", err)
			}
			d.times[n.text("frame.number")] = at
			first = at
		case "icmp":
			return nil // what it quotes has been seen
		case "ip", "ipv6":
			ip = [2]string{n.text(n.Name + ".src"), n.text(n.Name + ".dst")}
		case "tcp", "udp":
			current.from = ip[0] + ":" + n.text(n.Name+".srcport")
			current.to = ip[1] + ":" + n.text(n.Name+".dstport")
			current.stream = n.Name + n.text(n.Name+".stream")
		}
		if s := segments(n); s != nil {
			first, size = d.times[s.text("tcp.segment")], s.Size
		}
		for _, proto := range d.protos {
			if n.Name == proto {
				current.node, current.first, current.last, current.size = n, first, at, size
				if next := i + 1; n.Name == "http" && size == 0 && next < len(p.Protos) && p.Protos[next].Name == "http" {
					n.Size -= p.Protos[next].Size // it is that of all that follows it in the packet
				}
				d.visit(current)
				first, size = at, 0
			}
		}
	}
	return nil
}

// epoch reads seconds since 1970 with nine decimals.
func epoch(text string) (time.Time, error) {
	seconds, fraction, _ := strings.Cut(text, ".")
	s, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	nanos, err := strconv.ParseInt(fraction, 10, 64)
	return time.Unix(s, nanos), err
}

// segments is the list of segments from which the next PDU was put together.
func segments(n *node) *node {
	if n.Name == "fake-field-wrapper" || n.Name == "tcp" {
		return n.find("tcp.segments")
	}
	return nil
}

package probe_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/collector/privilege"
)

// TestPrivileges holds the table of package privilege to what the kernel does. For each way of capture that the kernel offers, another
// process captures real HTTP with all that the table asks for, as a user of no rights and as root, and then with each capability taken
// away: where the way cannot do without, capture is refused by that name; else every request is still counted, what the capability is
// for is not possible, and the status says so.
func TestPrivileges(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving away privileges needs root")
	}
	other := ofAnother(t)
	for _, method := range privilege.Ways() {
		if method == "cgroup" {
			continue // of datagrams alone, a need of two others
		}
		t.Run(method, func(t *testing.T) {
			if got := captureAs(t, method, right{all: true}, other); got.Err != "" {
				t.Skipf("not offered by this kernel: %s", got.Err)
			}
			for _, user := range []int{nobodyUID, 0} {
				t.Run(fmt.Sprintf("user %d", user), func(t *testing.T) { testWithout(t, method, allNeeded(t, method, user, other), other) })
			}
		})
	}
}

// allNeeded is what the table asks for on this host.
func allNeeded(t *testing.T, method string, user, other int) right {
	full := right{user: user}
	for {
		more := full.capabilities
		held := captureAs(t, "none", full, other).Held // there is no such way: it only says what it has
		for _, n := range privilege.Needs(method) {
			if !held.Meets(n) {
				more |= privilege.SetOf(n.Capability)
			}
		}
		if more == full.capabilities {
			return full
		}
		full.capabilities = more
	}
}

func testWithout(t *testing.T, method string, full right, other int) {
	t.Logf("all are %s", full.capabilities)
	t.Run("with all", func(t *testing.T) {
		captureAs(t, method, full, other).check(t, method, full)
	})
	for _, c := range full.capabilities.List() {
		t.Run("without "+c.String(), func(t *testing.T) {
			less := full
			less.capabilities &^= privilege.SetOf(c)
			if c == privilege.BPF || c == privilege.Perfmon {
				less.capabilities &^= privilege.SetOf(privilege.SysAdmin) // it would stand in
			}
			got := captureAs(t, method, less, other)
			if got.Held.Check(method) == nil {
				got.check(t, method, less)
				return
			}
			if kernel := captureAs(t, unchecked+method, less, other); kernel.Err == "" {
				t.Errorf("the kernel does without %s", c)
			}
			if !strings.Contains(got.Err, c.String()) || strings.Contains(got.Err, "\n") {
				t.Errorf("%s is not named in one line: %q", c, got.Err)
			}
		})
	}
}

// TestProfiles captures with each profile whole, as a user of no other rights, by every way that it allows.
func TestProfiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving away privileges needs root")
	}
	other := ofAnother(t)
	for _, p := range privilege.Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			profile := right{p.Capabilities, nobodyUID, false}
			got := captureAs(t, "auto", profile, other)
			if got.Err == "" && p.Name == "network" && got.Status.Method != "packet" {
				t.Errorf("captured by %s", got.Status.Method)
			}
			t.Logf("captured by %s", got.Status.Method)
			got.check(t, got.Status.Method, profile)
			for _, c := range p.Capabilities.List() {
				if !slices.ContainsFunc(privilege.Ways(), func(way string) bool { return needs(way, c) }) {
					t.Errorf("no way needs %s", c)
				}
			}
		})
	}
	t.Run("nothing", func(t *testing.T) {
		got := captureAs(t, "auto", right{0, nobodyUID, false}, other)
		if strings.Contains(got.Err, "\n") {
			t.Errorf("not one line: %q", got.Err)
		}
		for _, p := range privilege.Profiles() {
			for _, c := range p.Capabilities.List() {
				if !strings.Contains(got.Err, c.String()) {
					t.Errorf("%s is not named: %q", c, got.Err)
				}
			}
		}
	})
	t.Run("CAP_SYS_ADMIN for CAP_BPF and CAP_PERFMON", func(t *testing.T) {
		old := right{user: nobodyUID, capabilities: privilege.SetOf(privilege.SysAdmin) |
			privilege.Profiles()[0].Capabilities&^privilege.SetOf(privilege.BPF, privilege.Perfmon)}
		got := captureAs(t, "auto", old, other)
		got.check(t, got.Status.Method, old)
	})
}

func needs(way string, c privilege.Capability) bool {
	return slices.ContainsFunc(privilege.Needs(way), func(n privilege.Need) bool { return n.Capability == c })
}

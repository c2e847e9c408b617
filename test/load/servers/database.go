package servers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What a database holds and who may ask it: MariaDB's database shop and PostgreSQL's postgres have the tables that their .sql file
// makes; the broker has Topics. Redis and FerretDB are empty, and ask for no password.
const (
	User     = "test"
	Password = "test"
)

// Topics are those of the Kafka broker, each of one partition.
var Topics = []string{"orders", "payments"}

// dataDir is where in its folder a database keeps its data.
const dataDir = "data"

// ControlSocket is the Unix socket in Config.Dir by which Redis can be asked without a packet that shows.
const ControlSocket = "control.sock"

// database is the command of one of Debian's database servers.
func database(c *Config) (*exec.Cmd, error) {
	if err := c.choosePort(); err != nil {
		return nil, err
	}
	listen, err := netip.ParseAddrPort(c.Listen)
	if err != nil {
		return nil, err
	}
	host, port := listen.Addr().String(), strconv.Itoa(int(listen.Port()))
	switch c.Kind {
	case MariaDB:
		return mariadb(c, host, port)
	case PostgreSQL:
		return postgresql(c, host, port)
	}
	// Its title would be written over its environment.
	return exec.Command("redis-server", "--bind", host, "--port", port, "--dir", c.Dir, "--save", "", "--appendonly", "no",
		"--set-proc-title", "no", "--logfile", filepath.Join(c.Dir, "log"), "--unixsocket", filepath.Join(c.Dir, ControlSocket)), nil
}

// mariadb is a server that also takes TLS.
func mariadb(c *Config, host, port string) (*exec.Cmd, error) {
	data := filepath.Join(c.Dir, dataDir)
	err := prepare(exec.Command("mariadb-install-db", "--no-defaults", "--user=root", "--datadir="+data, "--skip-test-db",
		"--auth-root-authentication-method=normal"))
	if err != nil {
		return nil, err
	}
	script, err := unpack(c.Dir, "mariadb.sql")
	if err != nil {
		return nil, err
	}
	certificate, key, err := selfSigned(c.Dir)
	if err != nil {
		return nil, err
	}
	program := "mariadbd"
	if _, err := exec.LookPath(program); err != nil {
		program = "/usr/sbin/mariadbd"
	}
	return exec.Command(program, "--no-defaults", "--user=root", "--datadir="+data, "--socket=own.sock", "--pid-file=own.pid",
		"--bind-address="+host, "--port="+port, "--init-file="+script, "--ssl-cert="+certificate, "--ssl-key="+key,
		"--skip-name-resolve", "--skip-log-bin", "--open-files-limit=1000", "--max-connections=50", "--table-open-cache=100",
		"--performance-schema=off", "--log-error="+filepath.Join(c.Dir, "log"),
		"--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0"), nil
}

// postgresql is a server without TLS. It refuses to be root's.
func postgresql(c *Config, host, port string) (*exec.Cmd, error) {
	bin, err := newest("/usr/lib/postgresql/*/bin")
	if err != nil {
		return nil, err
	}
	uid, gid, err := userID("postgres")
	if err != nil {
		return nil, err
	}
	as := func(program string, args ...string) *exec.Cmd {
		cmd := exec.Command("setpriv", fmt.Sprint("--reuid=", uid), fmt.Sprint("--regid=", gid), "--clear-groups", "--pdeathsig=TERM",
			filepath.Join(bin, program))
		cmd.Args, cmd.Dir = append(cmd.Args, args...), "/"
		return cmd
	}
	data, secret := filepath.Join(c.Dir, dataDir), filepath.Join(c.Dir, "password")
	if err := errors.Join(
		os.Chmod(filepath.Dir(c.Dir), 0o755), // folders of tests let nobody else in
		os.WriteFile(secret, []byte(Password), 0o644), os.Mkdir(data, 0o700), os.Chown(data, uid, gid),
		prepare(as("initdb", "-D", data, "-U", User, "--pwfile="+secret, "-A", "scram-sha-256", "--no-sync", "--locale=C", "-E", "UTF8")),
	); err != nil {
		return nil, err
	}
	script, err := files.ReadFile("postgresql.sql")
	if err != nil {
		return nil, err
	}
	single := as("postgres", "--single", "-D", data, "-c", "fsync=off", "postgres")
	single.Stdin = strings.NewReader(string(script))
	if err := prepare(single); err != nil {
		return nil, err
	}
	return as("postgres", "-D", data, "-h", host, "-p", port, "-k", "", "-c", "fsync=off", "-c", "log_min_messages=panic",
		"-c", "log_min_error_statement=panic", "-c", "shared_buffers=16MB", "-c", "autovacuum=off"), nil
}

// prepare runs a program to its end.
func prepare(cmd *exec.Cmd) error {
	timeout, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	bounded := exec.CommandContext(timeout, cmd.Path, cmd.Args[1:]...)
	bounded.Dir, bounded.Stdin = cmd.Dir, cmd.Stdin
	if out, err := bounded.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, out)
	}
	return nil
}

// newest is the last folder that pattern matches.
func newest(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("no %s: %w", pattern, errors.Join(err, os.ErrNotExist))
	}
	return found[len(found)-1], nil
}

// userID is the numbers of a user of this host.
func userID(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, err
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return uid, gid, errors.Join(err1, err2)
}

// selfSigned makes files of a certificate that nobody has signed and of its key.
func selfSigned(dir string) (certificate, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(24 * time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	certificate, key = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
	return certificate, key, errors.Join(
		os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), 0o644),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
	)
}

// Package shoppb is generated from shop.proto: the messages, clients and servers of the shop's gRPC services.
//
// "go generate" takes protoc of Debian 12 (protobuf-compiler) and the plugins at the versions in go.mod.
package shoppb

//go:generate sh -c "protoc --plugin=$(go tool -n protoc-gen-go) --plugin=$(go tool -n protoc-gen-go-grpc) --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative shop.proto"

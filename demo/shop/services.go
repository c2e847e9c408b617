package shop

import (
	"time"

	"google.golang.org/grpc/codes"

	"github.com/toposcope/toposcope/demo/resolver"
	"github.com/toposcope/toposcope/demo/shop/shoppb"
)

// Services is the shop. The front is "web"; "prices", "stock" and "payments" speak gRPC; "payments" is slow, "stock" fails now and
// then and does not know every item. "catalogue" has two instances. "mysql" has items and orders, "mongodb" profiles, reviews and
// shipments, "redis" sessions, carts and the queue of orders that "fulfilment" takes from. The next version of "recommendations" asks
// a database that it did not ask before, and with queries that it should not.
func Services() []Service {
	return []Service{
		{Name: "fulfilment", Endpoints: []Endpoint{
			{Queue: "orders", Work: 4 * time.Millisecond, Calls: []Call{
				{Server: "mysql", Query: "ship order"},
				{Server: "mongodb", Query: "add shipment", Optional: true},
				{Server: "mysql", Query: "forget order"},
			}},
			{Method: "GET", Pattern: "/orders/{order}", Work: time.Millisecond, Body: 400, Calls: []Call{
				{Server: "mysql", Query: "find order"},
			}},
		}},
		{Name: "web", Endpoints: []Endpoint{
			{Method: "GET", Pattern: "/", Work: time.Millisecond, Body: 6 << 10, Calls: []Call{
				{Server: "recommendations", Method: "GET", Route: "/recommendations/{user}", Optional: true},
				{Server: "catalogue", Method: "GET", Route: "/items"},
			}},
			{Method: "GET", Pattern: "/items/{sku}", Work: time.Millisecond, Body: 4 << 10, Lookups: []Lookup{
				{Kind: resolver.IP, Name: "catalogue", Share: 0.3},
			}, Calls: []Call{
				{Server: "catalogue", Method: "GET", Route: "/items/{sku}"},
				{Server: "recommendations", Method: "GET", Route: "/recommendations/{user}", Share: 0.5, Optional: true},
			}},
			{Method: "GET", Pattern: "/search", Work: time.Millisecond, Body: 8 << 10, Chunks: 4, Calls: []Call{
				{Server: "catalogue", Method: "GET", Route: "/search"},
			}},
			{Method: "GET", Pattern: "/users/{user}", Body: 1 << 10, Calls: []Call{
				{Server: "redis", Query: "session"},
				{Server: "users", Method: "GET", Route: "/users/{user}"},
			}},
			{Method: "GET", Pattern: "/cart/{user}", Body: 2 << 10, Calls: []Call{
				{Server: "redis", Query: "session"},
				{Server: "cart", Method: "GET", Route: "/carts/{user}"},
			}},
			{Method: "POST", Pattern: "/cart/{user}/items", Status: 201, Calls: []Call{
				{Server: "cart", Method: "POST", Route: "/carts/{user}/items", Body: 180},
			}},
			{Method: "GET", Pattern: "/orders/{order}", Body: 1 << 10, Calls: []Call{
				{Server: "fulfilment", Method: "GET", Route: "/orders/{order}"},
			}},
			{Method: "POST", Pattern: "/checkout", Status: 201, Body: 600, Calls: []Call{
				{Server: "checkout", Method: "POST", Route: "/orders", Body: 900},
			}},
		}},
		{Name: "cart", Endpoints: []Endpoint{
			{Method: "GET", Pattern: "/carts/{user}", Work: 2 * time.Millisecond, Body: 900, Calls: []Call{
				{Server: "redis", Query: "cart"},
				{Server: "catalogue", Method: "GET", Route: "/items/{sku}", Optional: true},
			}},
			{Method: "POST", Pattern: "/carts/{user}/items", Status: 201, Work: 3 * time.Millisecond, Calls: []Call{
				{Server: "redis", Query: "add to cart"},
				{Server: "catalogue", Method: "GET", Route: "/items/{sku}", Optional: true},
			}},
			{Method: "DELETE", Pattern: "/carts/{user}", Status: 204, Work: 2 * time.Millisecond, Calls: []Call{
				{Server: "redis", Query: "empty cart"},
			}},
		}},
		{Name: "checkout", Endpoints: []Endpoint{
			{Method: "POST", Pattern: "/orders", Status: 201, Work: 4 * time.Millisecond, Body: 500, Lookups: []Lookup{
				{Kind: resolver.SRV, Name: "_grpc._tcp.payments", Share: 0.5},
			}, Calls: []Call{
				{Server: "users", Method: "GET", Route: "/users/{user}"},
				{Server: "stock", RPC: shoppb.Stock_Reserve_FullMethodName, Messages: 3},
				{Server: "mysql", Query: "place order"},
				{Server: "payments", RPC: shoppb.Payments_Charge_FullMethodName},
				{Server: "redis", Query: "enqueue order"},
				{Server: "cart", Method: "DELETE", Route: "/carts/{user}", Optional: true},
				{Server: "notifications", Method: "POST", Route: "/messages", Body: 2 << 10, Close: true, Optional: true},
			}},
		}},
		{Name: "recommendations", Endpoints: []Endpoint{
			{Method: "GET", Pattern: "/recommendations/{user}", Work: 6 * time.Millisecond, Body: 3 << 10, Chunks: 3, Calls: []Call{
				{Server: "mongodb", Query: "stars"},
				{Server: "mongodb", Query: "reviews", Share: 0.3, Optional: true},
				{Server: "catalogue", Method: "GET", Route: "/items/{sku}", Optional: true},
				{Server: "users", Method: "GET", Route: "/users/{user}", Share: 0.2},
			}},
		}, Next: []Endpoint{
			{Method: "GET", Pattern: "/recommendations/{user}", Work: 6 * time.Millisecond, Body: 3 << 10, Chunks: 3, Calls: []Call{
				{Server: "mysql", Query: "best sellers"},
				{Server: "mysql", Query: "scores", Share: 0.4},
				{Server: "mongodb", Query: "stars"},
			}},
		}},
		{Name: "catalogue", Instances: 2, Endpoints: []Endpoint{
			{Method: "GET", Pattern: "/items", Work: 3 * time.Millisecond, Body: 12 << 10, Calls: []Call{
				{Server: "mysql", Query: "items"},
				{Server: "prices", RPC: shoppb.Prices_Quote_FullMethodName, Messages: 6},
			}},
			{Method: "GET", Pattern: "/items/{sku}", Work: 2 * time.Millisecond, Body: 2 << 10, Calls: []Call{
				{Server: "mysql", Query: "item"},
				{Server: "prices", RPC: shoppb.Prices_GetPrice_FullMethodName},
				{Server: "stock", RPC: shoppb.Stock_GetLevel_FullMethodName, Share: 0.6, Optional: true},
			}},
			{Method: "GET", Pattern: "/search", Work: 8 * time.Millisecond, Body: 10 << 10, Chunks: 5, Calls: []Call{
				{Server: "mysql", Query: "count items"},
				{Server: "stock", RPC: shoppb.Stock_ListLevels_FullMethodName, Optional: true},
			}},
		}},
		{Name: "prices", Endpoints: []Endpoint{
			{RPC: shoppb.Prices_GetPrice_FullMethodName, Work: time.Millisecond},
			{RPC: shoppb.Prices_Quote_FullMethodName, Work: 2 * time.Millisecond},
		}},
		{Name: "stock", Endpoints: []Endpoint{
			{RPC: shoppb.Stock_GetLevel_FullMethodName, Work: 2 * time.Millisecond, Fault: Fault{Errors: []Error{
				{codes.Unavailable, 0.02}, {codes.NotFound, 0.05},
			}}},
			{RPC: shoppb.Stock_ListLevels_FullMethodName, Work: 3 * time.Millisecond, Chunks: 8, Fault: Fault{Errors: []Error{
				{codes.ResourceExhausted, 0.02},
			}}},
			{RPC: shoppb.Stock_Reserve_FullMethodName, Work: 5 * time.Millisecond, Fault: Fault{Errors: []Error{
				{codes.Unavailable, 0.02}, {codes.FailedPrecondition, 0.03},
			}}},
		}},
		{Name: "payments", Endpoints: []Endpoint{
			{RPC: shoppb.Payments_Charge_FullMethodName, Work: 180 * time.Millisecond, Lookups: []Lookup{
				{Kind: resolver.IP, Name: "api.bank.example"},
			}, Fault: Fault{Slow: 0.05, SlowBy: 600 * time.Millisecond, Errors: []Error{
				{codes.InvalidArgument, 0.02}, {codes.DeadlineExceeded, 0.01},
			}}},
		}},
		{Name: "users", Endpoints: []Endpoint{
			{Method: "GET", Pattern: "/users/{user}", Work: time.Millisecond, Body: 700, Calls: []Call{
				{Server: "mongodb", Query: "profile"},
				{Server: "mongodb", Query: "count visit", Share: 0.2, Optional: true},
			}},
		}},
		{Name: "notifications", Endpoints: []Endpoint{
			{Method: "POST", Pattern: "/messages", Status: 202, Work: time.Millisecond, Lookups: []Lookup{
				{Kind: resolver.MX, Name: "{domain}.example.", Optional: true},
				{Kind: resolver.TXT, Name: "policy.mail.example.", Share: 0.25, Optional: true},
			}},
		}},
		{Name: "mysql", Speaks: "mysql", Port: 3306},
		{Name: "mongodb", Speaks: "mongodb", Port: 27017},
		{Name: "redis", Speaks: "redis", Port: 6379},
	}
}

package shop

import "time"

// Services is the shop. The front is "web"; "payments" is slow, "stock" fails now and then and does not know every item.
func Services() []Service {
	return []Service{
		{"web", []Endpoint{
			{Method: "GET", Pattern: "/", Work: time.Millisecond, Body: 6 << 10, Calls: []Call{
				{Server: "recommendations", Method: "GET", Route: "/recommendations/{user}", Optional: true},
				{Server: "catalogue", Method: "GET", Route: "/items"},
			}},
			{Method: "GET", Pattern: "/items/{sku}", Work: time.Millisecond, Body: 4 << 10, Calls: []Call{
				{Server: "catalogue", Method: "GET", Route: "/items/{sku}"},
				{Server: "recommendations", Method: "GET", Route: "/recommendations/{user}", Share: 0.5, Optional: true},
			}},
			{Method: "GET", Pattern: "/search", Work: time.Millisecond, Body: 8 << 10, Chunks: 4, Calls: []Call{
				{Server: "catalogue", Method: "GET", Route: "/search"},
			}},
			{Method: "GET", Pattern: "/users/{user}", Body: 1 << 10, Calls: []Call{
				{Server: "users", Method: "GET", Route: "/users/{user}"},
			}},
			{Method: "GET", Pattern: "/cart/{user}", Body: 2 << 10, Calls: []Call{
				{Server: "cart", Method: "GET", Route: "/carts/{user}"},
			}},
			{Method: "POST", Pattern: "/cart/{user}/items", Status: 201, Calls: []Call{
				{Server: "cart", Method: "POST", Route: "/carts/{user}/items", Body: 180},
			}},
			{Method: "POST", Pattern: "/checkout", Status: 201, Body: 600, Calls: []Call{
				{Server: "checkout", Method: "POST", Route: "/orders", Body: 900},
			}},
		}},
		{"cart", []Endpoint{
			{Method: "GET", Pattern: "/carts/{user}", Work: 2 * time.Millisecond, Body: 900, Calls: []Call{
				{Server: "catalogue", Method: "GET", Route: "/items/{sku}", Optional: true},
			}},
			{Method: "POST", Pattern: "/carts/{user}/items", Status: 201, Work: 3 * time.Millisecond, Calls: []Call{
				{Server: "catalogue", Method: "GET", Route: "/items/{sku}", Optional: true},
			}},
			{Method: "DELETE", Pattern: "/carts/{user}", Status: 204, Work: 2 * time.Millisecond},
		}},
		{"checkout", []Endpoint{
			{Method: "POST", Pattern: "/orders", Status: 201, Work: 4 * time.Millisecond, Body: 500, Calls: []Call{
				{Server: "users", Method: "GET", Route: "/users/{user}"},
				{Server: "stock", Method: "POST", Route: "/reservations", Body: 240},
				{Server: "payments", Method: "POST", Route: "/charges", Body: 420},
				{Server: "cart", Method: "DELETE", Route: "/carts/{user}", Optional: true},
				{Server: "notifications", Method: "POST", Route: "/messages", Body: 2 << 10, Close: true, Optional: true},
			}},
		}},
		{"recommendations", []Endpoint{
			{Method: "GET", Pattern: "/recommendations/{user}", Work: 6 * time.Millisecond, Body: 3 << 10, Chunks: 3, Calls: []Call{
				{Server: "catalogue", Method: "GET", Route: "/items/{sku}", Optional: true},
				{Server: "users", Method: "GET", Route: "/users/{user}", Share: 0.2},
			}},
		}},
		{"catalogue", []Endpoint{
			{Method: "GET", Pattern: "/items", Work: 3 * time.Millisecond, Body: 12 << 10, Calls: []Call{
				{Server: "prices", Method: "POST", Route: "/quotes", Body: 700},
			}},
			{Method: "GET", Pattern: "/items/{sku}", Work: 2 * time.Millisecond, Body: 2 << 10, Calls: []Call{
				{Server: "prices", Method: "GET", Route: "/prices/{sku}"},
				{Server: "stock", Method: "GET", Route: "/stock/{sku}", Share: 0.6, Optional: true},
			}},
			{Method: "GET", Pattern: "/search", Work: 8 * time.Millisecond, Body: 10 << 10, Chunks: 5},
		}},
		{"prices", []Endpoint{
			{Method: "GET", Pattern: "/prices/{sku}", Work: time.Millisecond, Body: 120},
			{Method: "POST", Pattern: "/quotes", Work: 2 * time.Millisecond, Body: 1500},
		}},
		{"stock", []Endpoint{
			{Method: "GET", Pattern: "/stock/{sku}", Work: 2 * time.Millisecond, Body: 90, Fault: Fault{Failed: 0.02, NotFound: 0.05}},
			{Method: "POST", Pattern: "/reservations", Status: 201, Work: 5 * time.Millisecond, Body: 150, Fault: Fault{Failed: 0.02, NotFound: 0.03}},
		}},
		{"payments", []Endpoint{
			{Method: "POST", Pattern: "/charges", Status: 201, Work: 180 * time.Millisecond, Body: 300, Fault: Fault{Slow: 0.05, SlowBy: 600 * time.Millisecond}},
		}},
		{"users", []Endpoint{
			{Method: "GET", Pattern: "/users/{user}", Work: time.Millisecond, Body: 700},
		}},
		{"notifications", []Endpoint{
			{Method: "POST", Pattern: "/messages", Status: 202, Work: time.Millisecond},
		}},
	}
}

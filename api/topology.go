package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/toposcope/toposcope/topology"
	"github.com/toposcope/toposcope/topology/history"
)

// Graphs computes graphs; history.History does it from stored series. It is called from many goroutines.
type Graphs interface {
	Graph(ctx context.Context, q history.Query) (*topology.Graph, error)
	Node(ctx context.Context, id string, q history.Query) (*topology.NodeDetail, error)
	Edge(ctx context.Context, id string, q history.Query) (*topology.EdgeDetail, error)
}

var _ Graphs = (*history.History)(nil)

// maxDepth bounds focus: beyond it a graph is shown whole.
const maxDepth = 16

func (a *API) getTopology(c *gin.Context) {
	a.graph(c, func(ctx context.Context, q history.Query) (any, error) { return a.opts.Graphs.Graph(ctx, q) })
}

func (a *API) getNode(c *gin.Context) {
	id := strings.TrimPrefix(c.Param("id"), "/")
	a.graph(c, func(ctx context.Context, q history.Query) (any, error) { return a.opts.Graphs.Node(ctx, id, q) })
}

func (a *API) getEdge(c *gin.Context) {
	id := strings.TrimPrefix(c.Param("id"), "/")
	a.graph(c, func(ctx context.Context, q history.Query) (any, error) { return a.opts.Graphs.Edge(ctx, id, q) })
}

// graph answers with what compute makes of the request's query, when it is its turn.
func (a *API) graph(c *gin.Context, compute func(context.Context, history.Query) (any, error)) {
	if a.opts.Graphs == nil {
		fail(c, http.StatusNotImplemented, "there is no store to read the topology from")
		return
	}
	q, err := a.parseQuery(c)
	if err != nil {
		a.failWith(c, err)
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), a.opts.Timeout)
	defer cancel()
	select {
	case a.graphs <- struct{}{}:
		defer func() { <-a.graphs }()
	case <-ctx.Done():
		a.failWith(c, ctx.Err())
		return
	}
	found, err := compute(ctx, q)
	if err != nil {
		a.failWith(c, err)
		return
	}
	a.answer(c, found)
}

func (a *API) parseQuery(c *gin.Context) (q history.Query, err error) {
	if q.Window, err = parseWindow(c.Query, a.opts.Now(), a.opts.MaxWindow); err != nil {
		return q, err
	}
	q.Namespace, q.Focus, q.Protocol = c.Query("namespace"), c.Query("focus"), c.Query("protocol")
	if s := c.Query("depth"); s != "" {
		if q.Depth, err = strconv.Atoi(s); err != nil || q.Depth < 1 || q.Depth > maxDepth {
			return q, badRequest("depth: %q is not a number from 1 to %d", shorten(s), maxDepth)
		}
	}
	if s := c.Query("failed_only"); s != "" {
		if q.FailedOnly, err = strconv.ParseBool(s); err != nil {
			return q, badRequest("failed_only: %q is neither true nor false", shorten(s))
		}
	}
	switch g := history.Group(c.DefaultQuery("group", string(history.ByService))); g {
	case history.ByService, history.ByNamespace, history.ByNode, history.ByPod, history.ByProcess:
		q.Group = g
	default:
		return q, badRequest("group: %q is none of service, namespace, node, pod, process", shorten(string(g)))
	}
	return q, nil
}

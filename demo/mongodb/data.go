package mongodb

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Database is the name of the shop's database.
const Database = "shop"

// What there is from the beginning: profiles 0 to 199, reviews on ten shelves, twelve on each, and one shipment that every later one of
// the same number collides with.
const (
	Profiles      = 200
	Shelves       = 10
	ReviewsEach   = 12
	FirstShipment = "1"
)

// fill makes the collections, through the server at uri, which dialer reaches.
func fill(ctx context.Context, uri string, dialer options.ContextDialer) error {
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetDialer(dialer))
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(ctx) }() // what it was for is done, or failed
	var profiles, reviews []bson.D
	for i := range Profiles {
		name := fmt.Sprintf("customer %d", i)
		profiles = append(profiles, bson.D{{Key: "_id", Value: i}, {Key: "name", Value: name}, {Key: "visits", Value: 0}})
	}
	for i := range Shelves * ReviewsEach {
		reviews = append(reviews, bson.D{
			{Key: "_id", Value: i}, {Key: "shelf", Value: i % Shelves}, {Key: "stars", Value: 1 + i*7%5}, {Key: "text", Value: "as described"},
		})
	}
	for collection, documents := range map[string][]bson.D{
		"profiles": profiles, "reviews": reviews, "shipments": {{{Key: "_id", Value: FirstShipment}}},
	} {
		if _, err := client.Database(Database).Collection(collection).InsertMany(ctx, documents); err != nil {
			return fmt.Errorf("filling %s: %w", collection, err)
		}
	}
	return nil
}

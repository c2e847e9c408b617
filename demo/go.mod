module github.com/toposcope/toposcope/demo

go 1.26.0

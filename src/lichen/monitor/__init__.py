"""Standing questions about what is served: have the labels proven it wrong, have the features moved?"""

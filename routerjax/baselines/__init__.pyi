from .knn import knn_full_feedback as knn_full_feedback
from .knn import knn_outcomes as knn_outcomes
from .policies import best_single as best_single
from .policies import greedy as greedy
from .policies import random_choice as random_choice

"""Recurrent networks."""

from __future__ import annotations

import torch
from support.zoo.entry import Entry
from torch import Tensor, nn
from torch.nn import functional as F


class Sentiment(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(25, 8)
        self.rnn = nn.LSTM(8, 6, num_layers=2, bidirectional=True, batch_first=True, dropout=0.5)
        self.fc, self.dropout = nn.Linear(12, 2), nn.Dropout(0.5)

    def forward(self, text: Tensor) -> Tensor:
        embedded = self.dropout(self.embedding(text.long()))
        _, (hidden, _) = self.rnn(embedded)
        return self.fc(self.dropout(torch.cat((hidden[-2, :, :], hidden[-1, :, :]), dim=1)))


class WordLanguageModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.drop, self.encoder = nn.Dropout(0.2), nn.Embedding(25, 8)
        self.rnn, self.decoder = nn.LSTM(8, 8, 2, dropout=0.2, batch_first=True), nn.Linear(8, 25)

    def forward(self, x: Tensor) -> Tensor:
        output, _ = self.rnn(self.drop(self.encoder(x.long())))
        return self.decoder(self.drop(output))


class GruClassifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.fc = nn.GRU(4, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.gru(x)
        return self.fc(out[:, -1, :])


class RowByRow(nn.Module):
    """The image classifier of PyTorch's recurrent example: an image is a sequence of its rows."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.fc1 = nn.LSTM(input_size=12, hidden_size=8, batch_first=True), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(-1, 12, 12)
        output, _ = self.rnn(x)
        return F.log_softmax(self.fc1(output[:, -1, :]), dim=1)


class Cells(nn.Module):
    """PyTorch's example of the sine waves: cells in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = 6
        self.lstm1, self.lstm2, self.linear = nn.LSTMCell(1, 6), nn.LSTMCell(6, 6), nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        h_t, c_t = torch.zeros(x.size(0), 6), torch.zeros(x.size(0), 6)
        h_t2, c_t2 = torch.zeros(x.size(0), 6), torch.zeros(x.size(0), 6)
        for input_t in x.split(1, dim=1):
            h_t, c_t = self.lstm1(input_t, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            outputs += [self.linear(h_t2)]
        return torch.cat(outputs, dim=1)


class ConvolutionalRecurrent(nn.Module):
    """As CRNN reads text in images, with the samples first."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 8, 3, 1, 1), nn.ReLU(True), nn.MaxPool2d(2, 2), nn.Conv2d(8, 8, (4, 2), 1, 0), nn.ReLU(True)
        )
        self.rnn, self.embedding = nn.LSTM(8, 6, bidirectional=True, batch_first=True), nn.Linear(12, 11)

    def forward(self, x: Tensor) -> Tensor:
        conv = self.cnn(x).squeeze(2).permute(0, 2, 1)
        recurrent, _ = self.rnn(conv)
        return self.embedding(recurrent)


RECURRENT = (
    Entry(
        name="sentiment, LSTM",
        source="bentrevett/pytorch-sentiment-analysis, 2 - Upgraded Sentiment Analysis.ipynb",
        make=Sentiment,
        shape=(8,),
        vocabulary=25,
    ),
    Entry(
        name="word language model",
        source="pytorch/examples, word_language_model/model.py",
        make=WordLanguageModel,
        shape=(7,),
        vocabulary=25,
    ),
    Entry(name="GRU classifier", source="Cho et al., EMNLP 2014", make=GruClassifier, shape=(10, 4)),
    Entry(name="MNIST by rows", source="pytorch/examples, mnist_rnn/main.py", make=RowByRow, shape=(1, 12, 12)),
    Entry(name="sine waves", source="pytorch/examples, time_sequence_prediction/train.py", make=Cells, shape=(6,)),
    Entry(name="CRNN", source="meijieru/crnn.pytorch, models/crnn.py", make=ConvolutionalRecurrent, shape=(1, 8, 20)),
)
